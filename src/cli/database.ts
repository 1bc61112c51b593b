import { readEnvironment, type Environment } from '../config/environment.js';
import type { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import { migrate, prepareSchema } from '../persistence/migrate.js';
import { openDatabase } from '../persistence/open.js';
import { providerKinds } from '../providers/providers.js';

/** Runs pending migrations and names them. */
export async function migrateDatabase(env: Environment, { json }: { json?: boolean } = {}): Promise<void> {
  const { settings } = readEnvironment(env, { cwd: process.cwd(), kinds: providerKinds });
  const source = await openDatabase(settings);
  try {
    const names = await migrate(source);
    if (json) process.stdout.write(`${JSON.stringify({ ran: names })}\n`);
    else
      process.stdout.write(
        names.length ? `${names.map((name) => `ran ${name}`).join('\n')}\n` : 'nothing to migrate\n',
      );
  } finally {
    await source.destroy();
  }
}

/** The database of the configured installation, for one command. */
export async function withDatabase<T>(
  env: Environment,
  use: (database: Database, settings: Settings) => Promise<T>,
): Promise<T> {
  const { settings } = readEnvironment(env, { cwd: process.cwd(), kinds: providerKinds });
  const source = await openDatabase(settings);
  try {
    await prepareSchema(source);
    return await use(new Database(source), settings);
  } finally {
    await source.destroy();
  }
}
