import { AppModule } from '../app.module.js';
import { readEnvironment, type Environment } from '../config/environment.js';
import { start } from '../ops/start.js';
import { providerKinds } from '../providers/providers.js';
import { migrateDatabase } from './database.js';

/** Serves until a signal ends it; resolves once it listens. */
export async function serve({ env, migrate }: { readonly env: Environment; readonly migrate: boolean }): Promise<void> {
  const { settings, notes } = readEnvironment(env, { cwd: process.cwd(), kinds: providerKinds });
  if (migrate) await migrateDatabase(env);
  await start({ settings, notes, root: AppModule.with(settings), print: (text) => process.stdout.write(`${text}\n`) });
}
