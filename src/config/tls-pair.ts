import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Draft } from './draft.js';

/** What is wrong with certificate and private key, before anything listens with them; neither is ever repeated. */
export function faultsOfTls({ values, faulty, cwd, nameOf }: Draft): string[] {
  const { tlsCertFile, tlsKeyFile } = values;
  if (faulty.has('tlsCertFile') || faulty.has('tlsKeyFile')) return [];
  const faults: string[] = [];
  if (tlsCertFile !== undefined && tlsKeyFile === undefined)
    faults.push(`${nameOf('tlsKeyFile')}: is missing; wants the private key of ${nameOf('tlsCertFile')}`);
  if (tlsKeyFile !== undefined && tlsCertFile === undefined)
    faults.push(`${nameOf('tlsCertFile')}: is missing; wants the certificate of ${nameOf('tlsKeyFile')}`);
  const certificate = read({ file: tlsCertFile, cwd, parse: certificateOf, wants: 'a certificate in PEM' });
  const key = read({ file: tlsKeyFile, cwd, parse: keyOf, wants: 'a private key in PEM, without a passphrase' });
  if (typeof certificate === 'string') faults.push(`${nameOf('tlsCertFile')}: ${certificate}`);
  if (typeof key === 'string') faults.push(`${nameOf('tlsKeyFile')}: ${key}`);
  if (certificate instanceof X509Certificate && key !== null && typeof key !== 'string')
    if (!certificate.checkPrivateKey(key))
      faults.push(`${nameOf('tlsKeyFile')}: ${tlsKeyFile} does not belong to the certificate in ${tlsCertFile}`);
  return faults;
}

/** A text says what is wrong; null: no file is named. */
function read<T>(from: {
  file: string | undefined;
  cwd: string;
  parse: (pem: Buffer) => T;
  wants: string;
}): T | string | null {
  const { file, cwd, parse, wants } = from;
  if (file === undefined) return null;
  let pem: Buffer;
  try {
    pem = readFileSync(resolve(cwd, file));
  } catch (error) {
    return `cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`;
  }
  try {
    return parse(pem);
  } catch {
    return `got ${file}, wants ${wants}`;
  }
}

function certificateOf(pem: Buffer): X509Certificate {
  return new X509Certificate(pem);
}

function keyOf(pem: Buffer): KeyObject {
  return createPrivateKey(pem);
}
