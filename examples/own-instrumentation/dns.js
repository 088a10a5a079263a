/** @type {import('hookline').Instrumentation} */
module.exports = {
  name: 'dns',
  targets: [
    {
      module: 'dns',
      patch(dns, tracing) {
        tracing.span(dns, 'lookup', {
          kind: 2, // CLIENT
          name: ({ args: [host] }) => `lookup ${host}`,
          attributes: ({ args: [host] }) => ({ 'dns.question.name': host }),
          end: (span, { value }) => {
            if (typeof value === 'string') span.setAttribute('dns.answers', [value]);
          },
        });
      },
    },
  ],
};
