// The shop: the servers it stands on, its services in the order they start, and what is asked of it. To add a service,
// add a line and its file.
import { randomBytes } from 'node:crypto';

/**
 * What a process needs to know of those before it: where they listen, by name, and `bank` where none does, `rabbitmq`
 * only when a broker answers.
 * @typedef {Record<'bank' | 'postgres' | 'mysql' | 'payment' | 'stock' | 'catalog' | 'orders' | 'storefront', string>
 *   & { rabbitmq?: string, shipping?: string }} Addresses
 */

/**
 * Not part of what is traced.
 * @typedef {object} Server
 * @property {string} name
 * @property {string} label
 * @property {string} file in servers/
 */

/** @type {Server[]} */
export const servers = [
  { name: 'postgres', label: 'PostgreSQL', file: 'postgres.mjs' },
  { name: 'mysql', label: 'MySQL', file: 'mysql.mjs' },
];

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string} file in services/
 * @property {boolean} [needsBroker] left out when there is none
 * @property {(addresses: Addresses) => Record<string, string>} [env]
 */

/** @type {Service[]} */
export const services = [
  { name: 'payment', file: 'payment.js', env: ({ bank }) => ({ BANK_URL: bank }) },
  { name: 'stock', file: 'stock.js' },
  {
    name: 'shipping',
    file: 'shipping.mjs',
    needsBroker: true,
    env: ({ mysql, rabbitmq }) => ({
      AMQP_URL: rabbitmq,
      MYSQL_URL: mysql,
      // The broker may be anybody's.
      SHIPPING_QUEUE: `shipping-${randomBytes(3).toString('hex')}`,
    }),
  },
  {
    name: 'orders',
    file: 'orders.mjs',
    env: ({ mysql, payment, rabbitmq = '', shipping = '', stock }) => ({
      AMQP_URL: rabbitmq,
      MYSQL_URL: mysql,
      PAYMENT_URL: payment,
      SHIPPING_QUEUE: shipping,
      STOCK_ADDRESS: stock,
    }),
  },
  { name: 'catalog', file: 'catalog.js', env: ({ postgres }) => ({ POSTGRES_URL: postgres }) },
  {
    name: 'storefront',
    file: 'storefront.mjs',
    env: ({ catalog, orders }) => ({ CATALOG_URL: catalog, ORDERS_URL: orders }),
  },
];

/**
 * `spans` is what a complete trace consists of, and `brokerSpans` how many more there are with a broker; each trace
 * comes from one request to the storefront.
 * @typedef {object} Visit
 * @property {string} title
 * @property {'http' | 'fetch'} by how the visitor asks
 * @property {string} path
 * @property {object} [body] posted
 * @property {number} status
 * @property {number} spans
 * @property {number} [brokerSpans]
 */

/** @type {Visit[]} */
export const visits = [
  { title: 'Browse the products', by: 'http', path: '/products', status: 200, spans: 4 },
  {
    title: 'Buy coffee',
    by: 'fetch',
    path: '/checkout',
    body: { id: 'coffee', card: 'local' },
    status: 201,
    spans: 11,
    brokerSpans: 4,
  },
  {
    title: 'Buy tea: a slow check of the card',
    by: 'fetch',
    path: '/checkout',
    body: { id: 'tea', card: 'doubtful' },
    status: 201,
    spans: 11,
    brokerSpans: 4,
  },
  {
    title: 'Buy a mug: the bank is down',
    by: 'fetch',
    path: '/checkout',
    body: { id: 'mug', card: 'foreign' },
    status: 502,
    spans: 13,
  },
  {
    title: 'Buy a kettle: out of stock',
    by: 'fetch',
    path: '/checkout',
    body: { id: 'kettle', card: 'local' },
    status: 409,
    spans: 8,
  },
];
