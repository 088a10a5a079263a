// Makes as many calls of LIBRARY as it is told, a few at a time.
const { AT_ONCE, calls } = require('./calls.js');
const { ready } = require('./measure.js');

async function main() {
  const call = await calls[process.env.LIBRARY]();
  ready({}, async (count) => {
    let left = count;
    const worker = async () => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  });
}

main();
