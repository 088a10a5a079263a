// CommonJS. Knows how much of everything is left; a gRPC server.
const { join } = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const { shop } = grpc.loadPackageDefinition(protoLoader.loadSync(join(__dirname, 'stock.proto')));

const left = { coffee: 20, tea: 12, mug: 3, kettle: 0 };

const server = new grpc.Server();
server.addService(shop.Stock.service, {
  Reserve({ request: { product, quantity } }, callback) {
    if (!(left[product] >= quantity)) {
      return callback({ code: grpc.status.RESOURCE_EXHAUSTED, details: `out of stock: ${product}` });
    }
    left[product] -= quantity;
    callback(null, { quantity: left[product] });
  },
  Release({ request: { product, quantity } }, callback) {
    left[product] += quantity;
    callback(null, { quantity: left[product] });
  },
});

server.bindAsync(`127.0.0.1:${process.env.PORT ?? 0}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(`stock listens on 127.0.0.1:${port}`);
});
