import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { randomText } from './pkce.js';

interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: Parameters<SignJWT['sign']>[0];
  readonly jwk: JWK;
}

/** The keys of a fake issuer: the last one signs, all are published. */
export class FakeSigningKeys {
  #keys: SigningKey[] = [];

  /** Makes the first key, unless there is one. */
  async begin(): Promise<void> {
    if (this.#keys.length === 0) this.#keys = [await (firstKey ??= makeKey('RS256'))];
  }

  /** The JWKS. */
  get published(): JWK[] {
    return this.#keys.map(({ jwk }) => jwk);
  }

  /** Signs with a new key from now on. `keep`: the old ones stay published. */
  async rotate({ alg = 'RS256', keep = false }: { alg?: string; keep?: boolean } = {}): Promise<void> {
    const key = await makeKey(alg);
    this.#keys = [...(keep ? this.#keys : []), key];
  }

  /** The public key that signs now. */
  get publicJwk(): JWK {
    return this.#signer.jwk;
  }

  /** A JWT by the present key. Members of `claims` that are undefined are left out; `header` is laid over `alg` and `kid`. */
  sign(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
    const { kid, alg, privateKey } = this.#signer;
    const critical = Array.isArray(header['crit']) ? header['crit'].map((name) => [String(name), true]) : [];
    return new SignJWT(JSON.parse(JSON.stringify(claims)) as JWTPayload)
      .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
      .sign(privateKey, { crit: Object.fromEntries(critical) as Record<string, boolean> });
  }

  get #signer(): SigningKey {
    const key = this.#keys.at(-1);
    if (!key) throw new Error('listen first');
    return key;
  }
}

/** The key every fake begins with: making an RSA key costs a second of CPU. */
let firstKey: Promise<SigningKey> | undefined;

async function makeKey(alg: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const kid = randomText().slice(0, 8);
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}
