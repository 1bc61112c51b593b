import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

/** People and their accounts at providers. */
export class Users1763856000100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'gatehouse_user',
        columns: [
          { name: 'id', type: 'text', isPrimary: true },
          { name: 'name', type: 'text', isNullable: true },
          { name: 'email', type: 'text', isNullable: true },
          { name: 'avatar', type: 'text', isNullable: true },
          { name: 'status', type: 'text' },
          { name: 'roles', type: 'text' },
          { name: 'rule_roles', type: 'text' },
          { name: 'created_at', type: 'bigint' },
          { name: 'last_seen_at', type: 'bigint' },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'identity',
        columns: [
          { name: 'provider', type: 'text', isPrimary: true },
          { name: 'subject', type: 'text', isPrimary: true },
          { name: 'user_id', type: 'text' },
          { name: 'username', type: 'text', isNullable: true },
          { name: 'email', type: 'text', isNullable: true },
          { name: 'created_at', type: 'bigint' },
          { name: 'last_used_at', type: 'bigint' },
        ],
        indices: [{ name: 'ix_identity_user', columnNames: ['user_id'] }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['identity', 'gatehouse_user']) await runner.dropTable(table);
  }
}
