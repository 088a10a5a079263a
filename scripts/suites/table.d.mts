export interface Suite {
  runner: 'node:test' | 'mocha' | 'script';
  cwd: string;
  files: RegExp[];
  skip?: Record<string, string>;
}
export interface Entry {
  name: string;
  scope: string;
  version: string;
  ref: string;
  packages?: string[];
  suites: Suite[];
}
export const TABLE: Entry[];
export function nodeEntry(version: string): Entry;
export function filesOf(suite: Suite): string[];
