import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

/** Audit events, personal tokens, the revocation log. */
export class Foundation1763856000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'event',
        columns: [
          { name: 'id', type: 'text', isPrimary: true },
          { name: 'at', type: 'bigint' },
          { name: 'type', type: 'text' },
          { name: 'outcome', type: 'text' },
          { name: 'actor', type: 'text', isNullable: true },
          { name: 'user_id', type: 'text', isNullable: true },
          { name: 'client_id', type: 'text', isNullable: true },
          { name: 'grant_id', type: 'text', isNullable: true },
          { name: 'provider', type: 'text', isNullable: true },
          { name: 'ip', type: 'text', isNullable: true },
          { name: 'reference', type: 'text', isNullable: true },
          { name: 'detail', type: 'text', isNullable: true },
        ],
        indices: [
          { name: 'ix_event_type', columnNames: ['type', 'id'] },
          { name: 'ix_event_user', columnNames: ['user_id', 'id'] },
          { name: 'ix_event_client', columnNames: ['client_id', 'id'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'personal_token',
        columns: [
          { name: 'id', type: 'text', isPrimary: true },
          { name: 'hash', type: 'text', isUnique: true },
          { name: 'hint', type: 'text' },
          { name: 'name', type: 'text' },
          { name: 'user_id', type: 'text', isNullable: true },
          { name: 'scopes', type: 'text' },
          { name: 'created_at', type: 'bigint' },
          { name: 'expires_at', type: 'bigint', isNullable: true },
          { name: 'last_used_at', type: 'bigint', isNullable: true },
          { name: 'revoked_at', type: 'bigint', isNullable: true },
        ],
        indices: [{ name: 'ix_personal_token_user', columnNames: ['user_id', 'id'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'revocation_log',
        columns: [
          {
            name: 'id',
            type: 'integer',
            isPrimary: true,
            isGenerated: true,
            generationStrategy: 'increment',
          },
          { name: 'at', type: 'bigint' },
          { name: 'kind', type: 'text' },
          { name: 'target', type: 'text' },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['revocation_log', 'personal_token', 'event']) await runner.dropTable(table);
  }
}
