import { isAtLeast, nodeVersion } from './packages';

/**
 * Flags of Node's permission model with what an application that serves requests needs; `undefined`, with a printed line,
 * where Node has none.
 */
export const permissionFlags: readonly string[] | undefined = isAtLeast(nodeVersion, '20.0')
  ? [
      // By the older name, Node.js 22.23 starts child processes that do not get as far as their script.
      isAtLeast(nodeVersion, '22.13') ? '--permission' : '--experimental-permission',
      '--allow-fs-read=*',
      // Node.js 25 and later ask for the network too.
      ...(isAtLeast(nodeVersion, '25.0') ? ['--allow-net'] : []),
    ]
  : undefined;

if (permissionFlags === undefined) console.log(`the permission model was not tested: Node.js ${nodeVersion} has none`);
