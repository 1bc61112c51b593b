import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import type { DynamicModule, LoggerService, Provider, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { readEnvironment } from '../src/config/environment.js';
import { createApp } from '../src/create-app.js';
import { GatehouseModule } from '../src/gatehouse.module.js';
import { migrate } from '../src/persistence/migrate.js';
import { openDatabase } from '../src/persistence/open.js';
import { providerKinds } from '../src/providers/providers.js';

/** The static token that test servers accept unless their environment says otherwise. */
export const TOKEN = 'dev-token-123';

/** A Gatehouse that listens on a loopback port of its own. */
export interface RunningGatehouse {
  /** Public URL, without trailing slash. */
  readonly url: string;
  readonly mcpUrl: string;
  readonly app: NestFastifyApplication;
  /** Everything that was logged, one string a line. */
  readonly logs: string[];
  close(): Promise<void>;
}

/** What a test server is to be. */
export interface GatehouseOptions {
  /** `GATEHOUSE_…` variables; by default an in-memory database and one static token. */
  readonly env?: Record<string, string>;
  /** Providers with tools, besides the shipped ones. */
  readonly tools?: readonly Provider[];
  readonly imports?: readonly (Type | DynamicModule)[];
  /** Listen here instead of on a free port. */
  readonly port?: number;
}

/** Starts the real application in this process; black box from then on. */
export async function startGatehouse(options: GatehouseOptions = {}): Promise<RunningGatehouse> {
  const port = options.port ?? (await freePort());
  const env: Record<string, string> = {
    GATEHOUSE_PORT: String(port),
    GATEHOUSE_DATABASE_URL: 'sqlite::memory:',
    GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
    ...(options.env && 'FASTMCP_SERVER_AUTH' in options.env ? {} : { GATEHOUSE_PROVIDERS: 'static-token' }),
    ...options.env,
  };
  if (env['GATEHOUSE_PROVIDERS']?.includes('static-token'))
    env['GATEHOUSE_STATIC_TOKEN_TOKENS'] ??= JSON.stringify({
      [TOKEN]: { client_id: 'local-dev-client', scopes: ['basic'] },
    });
  const { settings } = readEnvironment(env, { cwd: tmpdir(), kinds: providerKinds });
  if (settings.values.databaseUrl.startsWith('postgres')) {
    const source = await openDatabase(settings);
    await migrate(source).finally(() => source.destroy());
  }
  class TestApp {}
  const root: DynamicModule = {
    module: TestApp,
    imports: [GatehouseModule.with(settings), ...(options.imports ?? [])],
    providers: [...(options.tools ?? [])],
  };
  const logs: string[] = [];
  const app = await createApp(root, { logger: collecting(logs) });
  await app.listen(settings.values.port, settings.values.host);
  return { url: settings.publicUrl, mcpUrl: settings.mcpUrl, app, logs, close: () => app.close() };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function collecting(logs: string[]): LoggerService {
  const note = (message: unknown, ...rest: unknown[]): void => {
    logs.push(
      [message, ...rest]
        .map((part) =>
          typeof part === 'string' ? part : part instanceof Error ? (part.stack ?? part.message) : JSON.stringify(part),
        )
        .join(' '),
    );
  };
  return { log: note, error: note, warn: note, debug: note, verbose: note, fatal: note };
}
