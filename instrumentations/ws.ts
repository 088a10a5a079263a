/** `ws` 7 and 8: the path that a WebSocket server is made for is the route of the requests that it upgrades. */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { setRoute } from '../src/http/route';

export default {
  name: 'ws',
  targets: [{ module: 'ws', versions: '>=7.0.0 <9', file: 'lib/websocket-server.js', patch: patchServer }],
} satisfies Instrumentation;

function patchServer(WebSocketServer: { prototype: object }, tracing: Tracing): void {
  tracing.replace(WebSocketServer.prototype, 'handleUpgrade', (original) => {
    return function (this: { options?: { path?: unknown } }, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const path = this.options?.path;
        // One that is for another path is refused with a 400.
        if (typeof path === 'string' && isFor(path, args[0])) setRoute(args[0] as object, path);
      });
      return Reflect.apply(original, this, args);
    };
  });
}

function isFor(path: string, request: unknown): boolean {
  const { url } = request as { url?: unknown };
  return typeof url === 'string' && (url === path || url.startsWith(`${path}?`));
}
