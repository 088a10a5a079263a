import { dirname } from 'node:path';

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
