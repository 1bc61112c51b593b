import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which sign-in made a Grant, so that the Events of its tokens name the same reference as the pages did. */
export class GrantReferences1763856000900 implements MigrationInterface {
  // Plain SQL, which both databases read alike: TypeORM would copy the whole table on SQLite.
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE oauth_grant ADD COLUMN reference text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE oauth_grant DROP COLUMN reference');
  }
}
