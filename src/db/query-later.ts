/**
 * Stands for src/db/query.ts in the instrumentations of databases (scripts/build.mjs): the scanner and its words are as much
 * code as the rest of an instrumentation, and are read with the first statement, once for all of them.
 */
import type { QueryDescriberOptions, QueryDescription } from './query';

export function createQueryDescriber(options: QueryDescriberOptions): (text: string) => QueryDescription {
  let describe: ((text: string) => QueryDescription) | undefined;
  return (text) => {
    describe ??= (require('../lazy/sql.js') as typeof import('./query')).createQueryDescriber(options);
    return describe(text);
  };
}
