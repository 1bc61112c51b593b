import { createPublicKey, type KeyObject } from 'node:crypto';
import { importJWK, type JWK } from 'jose';
import { asObject, asText } from './upstream-json.js';

/** RFC 7518 §3.3, §3.5. */
const RSA_BITS = 2048;
/** Keys of one issuer that are looked at; real ones publish a handful. */
const KEYS = 100;

/** Signature algorithms by the name that OpenSSL gives a curve. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** The ECDSA algorithm of a curve; undefined: none is accepted here. */
export function algorithmOfCurve(curve: string | undefined): string | undefined {
  return CURVES[curve ?? ''];
}

/** Why no signature can be checked with this public key; null: one can. */
export function faultOfKey({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | null {
  switch (type) {
    case 'rsa': {
      const bits = details?.modulusLength ?? 0;
      return bits >= RSA_BITS ? null : `it is an RSA key of ${bits} bits, wanted are ${RSA_BITS} or more`;
    }
    case 'ec':
      return algorithmOfCurve(details?.namedCurve)
        ? null
        : `it is on the curve ${details?.namedCurve ?? 'unknown'}, wanted is P-256, P-384 or P-521`;
    case 'ed25519':
      return null;
    default:
      return `it is of the type ${type ?? 'unknown'}, wanted is RSA, EC or Ed25519`;
  }
}

/**
 * Those keys of a JWK Set (RFC 7517) that signatures can be checked with. `refused`: one sentence for each other key; keys for encryption are left out
 * without one.
 */
export async function usableKeys(keys: readonly unknown[]): Promise<{ usable: JWK[]; refused: string[] }> {
  const usable: JWK[] = [];
  const refused: string[] = [];
  for (const key of keys.slice(0, KEYS)) {
    const jwk = asObject(key);
    if (jwk?.['use'] === 'enc') continue;
    const read = jwk ? await readKey(jwk) : 'it is no JSON object';
    if (typeof read === 'string') refused.push(`${nameOf(jwk)} is not used: ${read}`);
    else usable.push(read);
  }
  return { usable, refused };
}

/** A key without its private half, should an issuer publish it; text: why it is of no use. */
async function readKey(jwk: Readonly<Record<string, unknown>>): Promise<JWK | string> {
  if (jwk['kty'] === 'oct') return 'it is a shared secret';
  try {
    const key = createPublicKey({ key: jwk as JWK & { kty: string }, format: 'jwk' });
    const fault = faultOfKey(key);
    if (fault !== null) return fault;
    const { kid, alg, use, key_ops } = jwk;
    const read = JSON.parse(JSON.stringify({ ...key.export({ format: 'jwk' }), kid, alg, use, key_ops })) as JWK;
    await importJWK(read, asText(read.alg) ?? (read.kty === 'RSA' ? 'RS256' : undefined));
    return read;
  } catch {
    return 'it is malformed';
  }
}

function nameOf(jwk: Readonly<Record<string, unknown>> | null): string {
  const kid = asText(jwk?.['kid']);
  return kid === undefined ? 'a key without kid' : `the key ${JSON.stringify(kid.slice(0, 80))}`;
}
