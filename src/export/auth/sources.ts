import { toHeaders } from './authorization';
import type { CredentialSource, Credentials } from './credentials';

interface Source {
  /** What the operator brings along. */
  readonly packageName: string;
  /** The newest lines that run on a Node.js below these major versions, lowest first; on others the newest of all does. */
  readonly older: readonly (readonly [below: number, version: string])[];
  /** Rejects with what the package says. */
  ask(exports: unknown): Promise<Credentials>;
}

/** As long as Google's tokens live, with something to spare: for those that do not say when they expire. */
const ASSUMED_LIFE_MS = 45 * 60_000;

const GOOGLE_SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const AZURE_SCOPE = 'https://monitor.azure.com/.default';

interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

interface GoogleClient {
  readonly credentials?: { readonly expiry_date?: number | null };
  getRequestHeaders(url: string): Promise<unknown>;
}

/** The vendors' own packages know where credentials come from on their platforms; all that is ours is what to ask for. */
export const SOURCES: Readonly<Record<CredentialSource, Source>> = {
  aws: {
    packageName: '@aws-sdk/credential-provider-node',
    older: [[20, '3.965']],
    async ask(exports) {
      const { defaultProvider } = exports as {
        defaultProvider(): () => Promise<AwsIdentity>;
      };
      const { accessKeyId, secretAccessKey, sessionToken, expiration } = await defaultProvider()();
      return { keys: { accessKeyId, secretAccessKey, sessionToken }, expiresAtMs: expiration?.getTime() };
    },
  },
  google: {
    packageName: 'google-auth-library',
    older: [[22, '10']],
    async ask(exports) {
      const { GoogleAuth } = exports as {
        GoogleAuth: new (options: object) => { getClient(): Promise<GoogleClient> };
      };
      // Nobody reads the project; without one it is asked for, which a federated identity may not be allowed to.
      const client = await new GoogleAuth({ scopes: [GOOGLE_SCOPE], projectId: 'unused' }).getClient();
      // With `x-goog-user-project` where the credentials name a quota project.
      const headers = toHeaders(await client.getRequestHeaders('https://telemetry.googleapis.com/'));
      if (headers?.['authorization'] === undefined) throw new Error('google-auth-library gave no token');
      return { headers, expiresAtMs: client.credentials?.expiry_date ?? Date.now() + ASSUMED_LIFE_MS };
    },
  },
  azure: {
    packageName: '@azure/identity',
    older: [
      [20, '4.10'],
      [22, '4.12'],
    ],
    async ask(exports) {
      const { DefaultAzureCredential } = exports as {
        DefaultAzureCredential: new () => {
          getToken(scope: string): Promise<{ token: string; expiresOnTimestamp: number } | null>;
        };
      };
      const token = await new DefaultAzureCredential().getToken(AZURE_SCOPE);
      if (token === null) throw new Error('@azure/identity gave no token');
      return { headers: { authorization: `Bearer ${token.token}` }, expiresAtMs: token.expiresOnTimestamp };
    },
  },
};

/** The package as `npm install` takes it, in a version that runs on a Node.js. */
export function packageToInstall(source: CredentialSource, nodeMajor: number): string {
  const { packageName, older } = SOURCES[source];
  const [, version] = older.find(([below]) => nodeMajor < below) ?? [];
  return version === undefined ? packageName : `${packageName}@${version}`;
}
