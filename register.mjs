// The one ES module: `--import hookline/register`. createRequire and not `import`, because Node 18 to 22 would read
// the whole agent a second time to find its export names.
import { createRequire } from 'node:module';

if (process.env.OTEL_SDK_DISABLED?.trim().toLowerCase() !== 'true') {
  // A promise only when an instrumentation of the operator's own is an ES module, which has to be there first.
  await createRequire(import.meta.url)('./dist/register.js').ready;
}
