/** `find-my-way` 2 to 9, by itself and in frameworks that have no instrumentation here: the path of the route that was found. */

import type { Instrumentation } from '../src/hook/instrumentation';
import { isFastifyContext, watchRoutes } from '../src/http/find-my-way';

export default {
  name: 'find-my-way',
  targets: [
    {
      module: 'find-my-way',
      versions: '>=2.0.1 <10',
      patch: (Router, tracing) =>
        watchRoutes(Router, tracing, (path, store) => (isFastifyContext(store) ? undefined : path)),
    },
  ],
} satisfies Instrumentation;
