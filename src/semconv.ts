/**
 * Attribute keys that we emit, from the semantic conventions 1.44.0; each block names its page.
 */

/** Sent with every scope. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.44.0';

// general/attributes, registry/attributes/error
export const ERROR_TYPE = 'error.type';
export const SERVER_ADDRESS = 'server.address';
export const SERVER_PORT = 'server.port';
export const CLIENT_ADDRESS = 'client.address';
export const NETWORK_PEER_ADDRESS = 'network.peer.address';
export const NETWORK_PEER_PORT = 'network.peer.port';
export const NETWORK_PROTOCOL_NAME = 'network.protocol.name';
export const NETWORK_PROTOCOL_VERSION = 'network.protocol.version';

// http/http-spans
export const HTTP_REQUEST_METHOD = 'http.request.method';
export const HTTP_REQUEST_METHOD_ORIGINAL = 'http.request.method_original';
export const HTTP_RESPONSE_STATUS_CODE = 'http.response.status_code';
export const HTTP_ROUTE = 'http.route';
export const HTTP_REQUEST_HEADER = 'http.request.header.';
export const HTTP_RESPONSE_HEADER = 'http.response.header.';
export const URL_FULL = 'url.full';
export const URL_PATH = 'url.path';
export const URL_QUERY = 'url.query';
export const URL_SCHEME = 'url.scheme';
export const USER_AGENT_ORIGINAL = 'user_agent.original';
