// The shop: its services in the order they start, and what is asked of it. To add a service, add a line and its file;
// to add a database, give its address in `env`.

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string} file in services/
 * @property {(urls: Record<string, string>) => Record<string, string>} [env] from the addresses of those before it
 */

/** @type {Service[]} */
export const services = [
  { name: 'payment', file: 'payment.js', env: ({ bank }) => ({ BANK_URL: bank }) },
  { name: 'orders', file: 'orders.mjs', env: ({ payment }) => ({ PAYMENT_URL: payment }) },
  { name: 'catalog', file: 'catalog.js' },
  {
    name: 'storefront',
    file: 'storefront.mjs',
    env: ({ catalog, orders }) => ({ CATALOG_URL: catalog, ORDERS_URL: orders }),
  },
];

/**
 * `spans` is what a complete trace consists of; each comes from one request to the storefront.
 * @typedef {object} Visit
 * @property {string} title
 * @property {'http' | 'fetch'} by how the visitor asks
 * @property {string} path
 * @property {object} [body] posted
 * @property {number} status
 * @property {number} spans
 */

/** @type {Visit[]} */
export const visits = [
  { title: 'Browse the products', by: 'http', path: '/products', status: 200, spans: 3 },
  { title: 'Buy coffee', by: 'fetch', path: '/checkout', body: { id: 'coffee', card: 'local' }, status: 201, spans: 7 },
  {
    title: 'Buy tea: a slow check of the card',
    by: 'fetch',
    path: '/checkout',
    body: { id: 'tea', card: 'doubtful' },
    status: 201,
    spans: 7,
  },
  {
    title: 'Buy a mug: the bank is down',
    by: 'fetch',
    path: '/checkout',
    body: { id: 'mug', card: 'foreign' },
    status: 502,
    spans: 8,
  },
];
