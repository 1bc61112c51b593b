import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

/** Sign-ins that are at an upstream or have just come back from it. */
export class Attempts1763856000300 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'oauth_attempt',
        columns: [
          { name: 'state_hash', type: 'text', isPrimary: true },
          { name: 'subject_hash', type: 'text' },
          { name: 'binding_hash', type: 'text' },
          { name: 'provider', type: 'text' },
          { name: 'client_id', type: 'text', isNullable: true },
          { name: 'sealed', type: 'text' },
          { name: 'taken_at', type: 'bigint', isNullable: true },
          { name: 'outcome', type: 'text', isNullable: true },
          { name: 'expires_at', type: 'bigint' },
        ],
        indices: [
          { name: 'ix_oauth_attempt_subject', columnNames: ['subject_hash'] },
          { name: 'ix_oauth_attempt_expiry', columnNames: ['expires_at'] },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('oauth_attempt');
  }
}
