/** Where a loaded file belongs. */
export interface LoadedFile {
  /** Package or built-in name. */
  readonly module: string;
  /** Path inside the package with forward slashes; `undefined` for what `require(module)` returns. */
  readonly file: string | undefined;
  /** The package's folder; `undefined` for built-ins. */
  readonly folder: string | undefined;
}

/** Splits the path of a file in a package: by its last `node_modules` folder, with either separator. */
export function locate(filename: string): LoadedFile | undefined {
  const marker = 'node_modules';
  const at = filename.lastIndexOf(marker);
  if (at <= 0) return undefined;
  const separator = filename[at + marker.length];
  if (separator !== '/' && separator !== '\\') return undefined;
  const start = at + marker.length + 1;
  let end = filename.indexOf(separator, start);
  if (end < 0) return undefined;
  if (filename[start] === '@') {
    end = filename.indexOf(separator, end + 1);
    if (end < 0) return undefined;
  }
  const name = filename.slice(start, end);
  const file = filename.slice(end + 1);
  return {
    module: separator === '/' ? name : name.replace('\\', '/'),
    file: separator === '/' ? file : file.replaceAll('\\', '/'),
    folder: filename.slice(0, end),
  };
}
