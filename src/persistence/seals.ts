import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';

/** No root key of this installation opens the envelope, or it was altered. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

/**
 * Secrets at rest: AES-256-GCM envelopes under keys derived (HKDF-SHA-256, RFC 5869) from the root keys of `GATEHOUSE_SECRET`.
 * The first root key seals, all open. An envelope is bound to its purpose.
 */
@Injectable()
export class Seals {
  readonly #roots: readonly Buffer[];
  readonly #derived = new Map<string, Buffer>();

  /** @param roots base64, 32 bytes or more each; never empty */
  constructor(roots: readonly string[]) {
    this.#roots = roots.map((root) => Buffer.from(root, 'base64'));
  }

  /** An envelope `v1.<root key id>.<iv>.<ciphertext and tag>` in base64url. */
  seal(text: string, purpose: string): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#derive(0, `seal:${purpose}`, 32), iv);
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return ['v1', this.#id(0), iv.toString('base64url'), sealed.toString('base64url')].join('.');
  }

  /** @throws SealBroken */
  open(envelope: string, purpose: string): string {
    const [version, id, iv, sealed] = envelope.split('.');
    const index = this.#roots.findIndex((_, i) => this.#id(i) === id);
    if (version !== 'v1' || index < 0 || iv === undefined || sealed === undefined)
      throw new SealBroken('no root key opens this envelope');
    const bytes = Buffer.from(sealed, 'base64url');
    try {
      const decipher = createDecipheriv(
        'aes-256-gcm',
        this.#derive(index, `seal:${purpose}`, 32),
        Buffer.from(iv, 'base64url'),
      );
      decipher.setAuthTag(bytes.subarray(-16));
      return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new SealBroken('the envelope was altered or belongs to another purpose', { cause });
    }
  }

  /** Sealed under a root key that is no longer the first: worth sealing again. */
  isStale(envelope: string): boolean {
    return envelope.split('.')[1] !== this.#id(0);
  }

  /** Keys for another purpose (cookies, request state), newest first: one for each root key. */
  keys(purpose: string, bytes = 32): Buffer[] {
    return this.#roots.map((_, i) => this.#derive(i, `key:${purpose}`, bytes));
  }

  /** The newest of `keys`. */
  key(purpose: string, bytes = 32): Buffer {
    return this.#derive(0, `key:${purpose}`, bytes);
  }

  #id(index: number): string {
    return this.#derive(index, 'id', 6).toString('base64url');
  }

  #derive(index: number, purpose: string, bytes: number): Buffer {
    const name = `${index}:${bytes}:${purpose}`;
    let key = this.#derived.get(name);
    if (!key) {
      key = Buffer.from(hkdfSync('sha256', this.#roots[index]!, 'gatehouse', purpose, bytes));
      this.#derived.set(name, key);
    }
    return key;
  }
}
