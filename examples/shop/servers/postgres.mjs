// PostgreSQL for the shop: PGlite, which is PostgreSQL compiled to WebAssembly, in memory and behind a socket.
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

// The socket server makes events of this class, which Node.js 18 keeps behind a flag.
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, options) {
    super(type, options);
    this.detail = options?.detail ?? null;
  }
};

const db = await PGlite.create();
await db.exec(`
  CREATE TABLE products (id text PRIMARY KEY, price integer NOT NULL);
  INSERT INTO products VALUES ('coffee', 12), ('tea', 8), ('mug', 15), ('kettle', 30);
`);
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 20 });
await server.start();
console.log(`postgres listens on postgres://postgres@${server.getServerConn()}/postgres, PGlite in memory`);
