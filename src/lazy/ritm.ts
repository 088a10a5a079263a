/** require-in-the-middle as a file of its own: read with the first `require` of a package that has targets. */
import { types } from 'node:util';
import ritm from 'require-in-the-middle';

export const { Hook } = ritm;
export { types };
