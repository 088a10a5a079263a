const https = require('node:https');
const { requests } = require('./http.cjs');

module.exports = () => {
  const { TLS_KEY: key, TLS_CERT: cert } = process.env;
  return requests(https, https.createServer({ key, cert }), { ca: cert });
};
