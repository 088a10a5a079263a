// CommonJS. Charges cards; cards from abroad go through a bank over HTTP, and a doubtful card takes a slow check.
const http = require('node:http');

const bankUrl = process.env.BANK_URL;

const server = http.createServer(async (request, response) => {
  const { card } = JSON.parse(await readText(request));
  try {
    if (card === 'doubtful') await new Promise((resolve) => setTimeout(resolve, 500));
    if (card === 'foreign') await askBank(card);
    reply(response, 200, { charged: true });
  } catch (error) {
    reply(response, 500, { error: `the bank is not reachable: ${error.code}` });
  }
});

function askBank(card) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${bankUrl}/authorizations`, { method: 'POST' }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
    request.end(JSON.stringify({ card }));
  });
}

async function readText(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

function reply(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`payment listens on http://127.0.0.1:${server.address().port}`);
});
