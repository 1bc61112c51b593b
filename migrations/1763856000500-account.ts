import { Table, type MigrationInterface, type QueryRunner } from 'typeorm';

/** Browsers signed in to the account page, step-up links, checks of the allow rules after sign-in. */
export class Account1763856000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'account_sign_in',
        columns: [
          { name: 'id_hash', type: 'text', isPrimary: true },
          { name: 'user_id', type: 'text' },
          { name: 'provider', type: 'text' },
          { name: 'created_at', type: 'bigint' },
          { name: 'seen_at', type: 'bigint' },
          { name: 'expires_at', type: 'bigint' },
        ],
        indices: [
          { name: 'ix_account_sign_in_user', columnNames: ['user_id'] },
          { name: 'ix_account_sign_in_expiry', columnNames: ['expires_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'step_up_link',
        columns: [
          { name: 'id_hash', type: 'text', isPrimary: true },
          { name: 'grant_id', type: 'text' },
          { name: 'user_id', type: 'text' },
          { name: 'scopes', type: 'text' },
          { name: 'tools', type: 'text' },
          { name: 'used_at', type: 'bigint', isNullable: true },
          { name: 'expires_at', type: 'bigint' },
        ],
        indices: [{ name: 'ix_step_up_link_expiry', columnNames: ['expires_at'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'admission',
        columns: [
          { name: 'user_id', type: 'text', isPrimary: true },
          { name: 'provider', type: 'text', isPrimary: true },
          { name: 'tried_at', type: 'bigint' },
          { name: 'admitted_at', type: 'bigint', isNullable: true },
          { name: 'refused_at', type: 'bigint', isNullable: true },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['admission', 'step_up_link', 'account_sign_in']) await runner.dropTable(table);
  }
}
