import { appendFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FileConfig } from '../config';

/**
 * A file that lines are appended to, rotated by size. Synchronous: a line is a batch, written every few seconds to a local
 * disk, and what is under way when a process ends must be neither lost nor written twice.
 */
export class RotatingFile {
  readonly path: string;
  readonly #maxBytes: number;
  readonly #maxFiles: number;
  #prepared = false;

  constructor({ path, maxBytes, maxFiles }: FileConfig) {
    this.path = path.replaceAll('%p', String(process.pid));
    this.#maxBytes = maxBytes;
    this.#maxFiles = maxFiles;
  }

  /** Throws what the file system says. */
  append(line: Buffer): void {
    if (!this.#prepared) {
      mkdirSync(dirname(this.path), { recursive: true });
      this.#prepared = true;
    }
    // Asked each time: other processes may write to the same file, and operators remove files.
    const { size = 0 } = statSync(this.path, { throwIfNoEntry: false }) ?? {};
    if (size > 0 && size + line.length > this.#maxBytes) this.#rotate();
    // In one call: lines of processes that append to one file do not mix. Readable by the owner only: spans tell a lot.
    appendFileSync(this.path, line, { mode: 0o600 });
  }

  #rotate(): void {
    const name = (index: number): string => (index === 0 ? this.path : `${this.path}.${index}`);
    for (let index = this.#maxFiles - 1; index > 0; index--) {
      try {
        renameSync(name(index - 1), name(index));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    if (this.#maxFiles === 1) rmSync(this.path, { force: true });
  }
}
