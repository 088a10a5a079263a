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
export const NETWORK_PROTOCOL_VERSION = 'network.protocol.version';

// registry/attributes/code
export const CODE_FUNCTION_NAME = 'code.function.name';

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

// graphql/graphql-spans
export const GRAPHQL_OPERATION_NAME = 'graphql.operation.name';
export const GRAPHQL_OPERATION_TYPE = 'graphql.operation.type';

// db/postgresql, db/mysql
export const DB_SYSTEM_NAME = 'db.system.name';
export const DB_NAMESPACE = 'db.namespace';
export const DB_QUERY_TEXT = 'db.query.text';
export const DB_QUERY_SUMMARY = 'db.query.summary';
export const DB_QUERY_PARAMETER = 'db.query.parameter.';
export const DB_RESPONSE_STATUS_CODE = 'db.response.status_code';
/**
 * Ours, in seconds like the metric `db.client.connection.wait_time`: how long the call waited for a connection of its
 * pool. Only there when it had to wait.
 */
export const CONNECTION_WAIT_TIME = 'hookline.db.client.connection.wait_time';

// messaging/rabbitmq
export const MESSAGING_SYSTEM = 'messaging.system';
export const MESSAGING_OPERATION_NAME = 'messaging.operation.name';
export const MESSAGING_OPERATION_TYPE = 'messaging.operation.type';
export const MESSAGING_DESTINATION_NAME = 'messaging.destination.name';
export const MESSAGING_DESTINATION_ANONYMOUS = 'messaging.destination.anonymous';
export const MESSAGING_DESTINATION_TEMPORARY = 'messaging.destination.temporary';
export const MESSAGING_BATCH_MESSAGE_COUNT = 'messaging.batch.message_count';
export const MESSAGING_MESSAGE_ID = 'messaging.message.id';
export const MESSAGING_MESSAGE_CONVERSATION_ID = 'messaging.message.conversation_id';
export const MESSAGING_RABBITMQ_ROUTING_KEY = 'messaging.rabbitmq.destination.routing_key';
export const MESSAGING_RABBITMQ_DELIVERY_TAG = 'messaging.rabbitmq.message.delivery_tag';

// rpc/grpc
export const RPC_SYSTEM_NAME = 'rpc.system.name';
export const RPC_METHOD = 'rpc.method';
export const RPC_METHOD_ORIGINAL = 'rpc.method_original';
export const RPC_RESPONSE_STATUS_CODE = 'rpc.response.status_code';
export const RPC_REQUEST_METADATA = 'rpc.request.metadata.';
export const RPC_RESPONSE_METADATA = 'rpc.response.metadata.';
