import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext, Server as TlsServer } from 'node:tls';
import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Settings } from '../config/settings.js';

/** How often the files are looked at, milliseconds; by polling, since certificate managers replace links, which watchers miss. */
const LOOK_EVERY_MS = 2000;

/** Certificate and key for `https.createServer`; null: plain http. Throws when a file cannot be read. */
export function readTls(settings: Settings): { cert: Buffer; key: Buffer } | null {
  const { tlsCertFile, tlsKeyFile } = settings.values;
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return null;
  return {
    cert: readFileSync(resolve(settings.cwd, tlsCertFile)),
    key: readFileSync(resolve(settings.cwd, tlsKeyFile)),
  };
}

/** Takes a renewed certificate into use without a restart; a broken pair of files leaves the old one in place. */
@Injectable()
export class TlsFiles implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger('TLS');
  readonly #files: readonly string[];

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly settings: Settings,
  ) {
    const { tlsCertFile, tlsKeyFile } = settings.values;
    this.#files = [tlsCertFile, tlsKeyFile]
      .filter((file) => file !== undefined)
      .map((file) => resolve(settings.cwd, file));
  }

  onApplicationBootstrap(): void {
    for (const file of this.#files) watchFile(file, { interval: LOOK_EVERY_MS, persistent: false }, this.#reload);
  }

  onApplicationShutdown(): void {
    for (const file of this.#files) unwatchFile(file, this.#reload);
  }

  readonly #reload = (): void => {
    const server: unknown = this.host.httpAdapter.getHttpServer();
    if (!(server instanceof TlsServer)) return;
    try {
      const pair = readTls(this.settings);
      if (!pair) return;
      createSecureContext(pair);
      server.setSecureContext(pair);
      this.#log.log('the certificate was reloaded');
    } catch (error) {
      this.#log.error(`the changed certificate cannot be used, the old one stays: ${(error as Error).message}`);
    }
  };
}
