import { createQueryDescriber } from '../../src/db/query';
import { SqlScanner } from '../../src/db/sql-scanner';
import { summarize } from '../../src/db/summary';
import type { Micro } from './micro';

/** More than the cache of a describer holds, so that each of them is scanned. */
const TEXTS = Array.from(
  { length: 4096 },
  (_, i) => `SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id
    WHERE o.status = 'open' AND o.id > ${i} AND c.country IN ('AT', 'CH', 'DE') ORDER BY o.id LIMIT 20`,
);

export default {
  question: 'What does it cost to summarize a statement of 190 characters, and to replace its literals?',
  calls: 20_000,
  cases: {
    /** Each character read once. */
    floor: {
      make: () => (i) => {
        const text = TEXTS[i % TEXTS.length] as string;
        let sum = 0;
        for (let at = 0; at < text.length; at++) sum += text.charCodeAt(at);
        return sum;
      },
    },
    'hookline-summary': {
      make() {
        const scanner = new SqlScanner('postgresql');
        return (i) => {
          scanner.reset(TEXTS[i % TEXTS.length] as string);
          return summarize(scanner, false).length;
        };
      },
    },
    hookline: {
      make() {
        const describe = createQueryDescriber({ dialect: 'postgresql', maxLength: 8192 });
        return (i) => {
          const { summary, sanitized } = describe(TEXTS[i % TEXTS.length] as string);
          return summary.length + sanitized.length;
        };
      },
    },
    /** A text that was described before, as those of prepared statements are. */
    'hookline-cached': {
      make() {
        const describe = createQueryDescriber({ dialect: 'postgresql', maxLength: 8192 });
        return (i) => {
          const { summary, sanitized } = describe(TEXTS[i & 0x3f] as string);
          return summary.length + sanitized.length;
        };
      },
    },
  },
} satisfies Micro;
