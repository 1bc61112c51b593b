import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { AppModule } from '../app.module.js';
import { readEnvironment, type Environment } from '../config/environment.js';
import { start } from '../ops/start.js';
import { providerKinds } from '../providers/providers.js';
import { migrateDatabase } from './database.js';

/** Serves until a signal ends it; resolves once it listens. */
export async function serve({ env, migrate }: { readonly env: Environment; readonly migrate: boolean }): Promise<void> {
  const read = (from: Environment) => readEnvironment(from, { cwd: process.cwd(), kinds: providerKinds });
  let { settings, notes } = read(env);
  // Port 0 is any free one; it is chosen now, since the public URL is made from it before anything listens.
  if (settings.values.port === 0)
    ({ settings, notes } = read({ ...env, GATEHOUSE_PORT: String(await freePort(settings.values.host)) }));
  if (migrate) await migrateDatabase(env);
  await start({ settings, notes, root: AppModule.with(settings), print: (text) => process.stdout.write(`${text}\n`) });
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
