import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Where the operator's modules and packages are looked for: in the working directory, then beside the main script. Never
 * from the agent's own folder, whose packages may be of other versions than the application's.
 */
export function applicationFolders(): string[] {
  const folders = [process.cwd()];
  const script = process.argv[1];
  if (typeof script === 'string') folders.push(dirname(script));
  return folders;
}

/** The file of a package or path, as `require` finds it from the first of these folders that has it. Throws what the first one said. */
export function resolveFromApplication(specifier: string): string {
  let failure: unknown;
  for (const folder of applicationFolders()) {
    try {
      return createRequire(join(folder, 'noop.js')).resolve(specifier);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
