/** Level 1: spans are repetitive, higher levels gain a few percent for a multiple of the time. */
const OPTIONS = { level: 1 } as const;

// Loaded here and not at the top: most collectors are sent plain bytes.
const zlib = (): typeof import('node:zlib') => require('node:zlib') as typeof import('node:zlib');

export function gzip(bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    zlib().gzip(bytes, OPTIONS, (error, compressed) => (error === null ? resolve(compressed) : reject(error)));
  });
}

export function gzipSync(bytes: Uint8Array): Buffer {
  return zlib().gzipSync(bytes, OPTIONS);
}
