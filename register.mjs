// The one ES module: `--import hookline/register`. createRequire and not `import`, because Node 18 to 22 would read
// the whole agent a second time to find its export names. And where Node can (20.16, 22.3), no import at all: imports go through the
// loaders of `--loader`, and one that takes every module for an ES module fails at built-ins.
if (process.env.OTEL_SDK_DISABLED?.trim().toLowerCase() !== 'true') {
  const { createRequire } = process.getBuiltinModule?.('node:module') ?? (await import('node:module'));
  // A promise only when an instrumentation of the operator's own is an ES module, which has to be there first.
  await createRequire(import.meta.url)('./dist/register.js').ready;
}
