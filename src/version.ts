declare const HOOKLINE_VERSION: string;

/** This package's version, put in by the build; sources that are run without one have none. */
export const VERSION = typeof HOOKLINE_VERSION === 'string' ? HOOKLINE_VERSION : '0.0.0';
