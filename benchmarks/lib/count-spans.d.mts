export function countOtlpSpans(bytes: Uint8Array): number;
export function countDatadogSpans(bytes: Buffer): number;
