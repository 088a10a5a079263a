/**
 * Installs packages of exact versions, once per machine, outside the repository's own dependencies. Returns the folder
 * whose `node_modules` holds the first; the others are put beside it.
 * Rejects with one line when npm cannot.
 * @param specs `name@version`
 */
export function installPackages(...specs: [string, ...string[]]): Promise<string>;

/** A project with these packages as pnpm (isolated) or Yarn (Plug'n'Play) lays them out; cached and rejecting alike. */
export function installLayout(manager: 'pnpm' | 'yarn', ...specs: string[]): Promise<string>;
