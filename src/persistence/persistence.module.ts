import { Global, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Settings } from '../config/settings.js';
import { Database } from './database.js';
import { openDatabase } from './open.js';
import { Purge } from './purge.js';
import { rootKeys } from './root-key.js';
import { Seals } from './seals.js';
import { prepareSchema } from './migrate.js';
import { Notifications } from './notifications.js';

/** The database and the seals. On SQLite pending migrations run here, before anything reads a table. */
@Global()
@Module({
  providers: [
    {
      provide: DataSource,
      inject: [Settings],
      useFactory: async (settings: Settings): Promise<DataSource> => {
        const source = await openDatabase(settings);
        await prepareSchema(source);
        return source;
      },
    },
    { provide: Database, inject: [DataSource], useFactory: (source: DataSource) => new Database(source) },
    // After the database: an unusable one is reported by its own name, before a key is written beside it.
    {
      provide: Seals,
      inject: [Settings, DataSource],
      useFactory: (settings: Settings) => new Seals(rootKeys(settings)),
    },
    Notifications,
    Purge,
  ],
  exports: [Database, Notifications, Purge, Seals],
})
export class PersistenceModule {}
