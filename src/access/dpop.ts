import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { ASSERTION_ALGORITHMS } from '../protocol/client-metadata.js';
import { ProofIds } from './proof-ids.js';

/** Seconds that a proof may be old, or ahead of our clock (RFC 9449 §11.1). */
const WINDOW = 60;

/** A proof, and what it must be about. */
export interface ProofFacts {
  /** The `DPoP` header as it came; an array: it was sent more than once. */
  readonly header: string | string[] | undefined;
  /** The access token that came with it. */
  readonly token: string;
  /** Thumbprint of the key that the token is bound to. */
  readonly jkt: string;
  readonly method: string;
  /** The resource's public URL; query and fragment do not count. */
  readonly url: string;
}

/** Checks DPoP proofs at resources (RFC 9449 §4.3): the right key, this token, this request, a short while ago, once. */
@Injectable()
export class DpopProofs {
  constructor(@Inject(ProofIds) private readonly ids: ProofIds) {}

  /** @returns null: good; otherwise what is wrong, fit for a challenge  @throws DatabaseUnavailable */
  async fault({ header, token, jkt, method, url }: ProofFacts): Promise<string | null> {
    if (header === undefined) return 'the token is bound to a key: a DPoP proof is missing';
    if (typeof header !== 'string' || header.includes(',')) return 'more than one DPoP proof';
    const proof = await verifyDpopProof(header);
    if (typeof proof === 'string') return proof;
    if (proof.htm !== method) return 'the DPoP proof is for another method';
    if (!sameTarget(proof.htu, url)) return 'the DPoP proof is for another address';
    if (proof.ath !== createHash('sha256').update(token).digest('base64url'))
      return 'the DPoP proof is for another token';
    if (proof.thumbprint !== jkt) return 'the DPoP proof is signed by another key';
    if (Math.abs(Date.now() / 1000 - proof.iat) > WINDOW) return 'the DPoP proof is too old';
    const fresh = await this.ids.use(`dpop ${jkt} ${proof.jti}`, Math.ceil(proof.iat) + WINDOW + 1);
    return fresh ? null : 'the DPoP proof was used before';
  }
}

/** The claims of a proof whose signature and form are good. */
export interface VerifiedProof {
  readonly thumbprint: string;
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly ath: string | undefined;
}

/** Signature and form of a proof (RFC 9449 §4.2); a string says what is wrong. */
export async function verifyDpopProof(proof: string): Promise<VerifiedProof | string> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...ASSERTION_ALGORITHMS],
    });
    const { jti, iat } = payload;
    const { htm, htu, ath } = payload as Record<string, unknown>;
    if (typeof jti !== 'string' || jti === '' || jti.length > 512) return 'the DPoP proof has no usable jti';
    if (typeof iat !== 'number' || typeof htm !== 'string' || typeof htu !== 'string')
      return 'the DPoP proof lacks htm, htu or iat';
    const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk!);
    return { thumbprint, jti, htm, htu, iat, ath: typeof ath === 'string' ? ath : undefined };
  } catch {
    return 'the DPoP proof is malformed or its signature is wrong';
  }
}

function sameTarget(htu: string, url: string): boolean {
  if (!URL.canParse(htu)) return false;
  const [a, b] = [new URL(htu), new URL(url)];
  return a.origin === b.origin && a.pathname.replace(/\/$/, '') === b.pathname.replace(/\/$/, '');
}
