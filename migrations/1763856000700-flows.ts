import { Table, TableColumn, type MigrationInterface, type QueryRunner } from 'typeorm';

/** Traces of sign-in attempts, the scopes a Client may have, and the orders in which administrators page through people, Clients, Grants and Events. */
export class Flows1763856000700 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'flow',
        columns: [
          { name: 'id', type: 'text', isPrimary: true },
          { name: 'reference', type: 'text', isUnique: true },
          { name: 'client_id', type: 'text', isNullable: true },
          { name: 'recognised', type: 'text', isNullable: true },
          { name: 'user_id', type: 'text', isNullable: true },
          { name: 'grant_id', type: 'text', isNullable: true },
          { name: 'provider', type: 'text', isNullable: true },
          { name: 'ip', type: 'text', isNullable: true },
          { name: 'outcome', type: 'text' },
          { name: 'failed_check', type: 'text', isNullable: true },
          { name: 'updated_at', type: 'bigint' },
        ],
        indices: [
          { name: 'ix_flow_client', columnNames: ['client_id', 'id'] },
          { name: 'ix_flow_user', columnNames: ['user_id', 'id'] },
          { name: 'ix_flow_grant', columnNames: ['grant_id'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'flow_step',
        columns: [
          { name: 'id', type: 'text', isPrimary: true },
          { name: 'reference', type: 'text' },
          { name: 'at', type: 'bigint' },
          { name: 'step', type: 'text' },
          { name: 'outcome', type: 'text' },
          { name: 'failed_check', type: 'text', isNullable: true },
          { name: 'detail', type: 'text', isNullable: true },
        ],
        indices: [{ name: 'ix_flow_step_reference', columnNames: ['reference', 'id'] }],
      }),
    );
    await runner.addColumn('oauth_client', new TableColumn({ name: 'allowed_scopes', type: 'text', isNullable: true }));
    for (const [name, on] of INDICES) await runner.query(`CREATE INDEX ${name} ON ${on}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const [name] of INDICES) await runner.query(`DROP INDEX ${name}`);
    await runner.dropColumn('oauth_client', 'allowed_scopes');
    for (const table of ['flow_step', 'flow']) await runner.dropTable(table);
  }
}

const INDICES = [
  ['ix_gatehouse_user_email', 'gatehouse_user (LOWER(email))'],
  ['ix_identity_provider', 'identity (provider, user_id)'],
  ['ix_oauth_client_listed', 'oauth_client (created_at, id)'],
  ['ix_oauth_grant_listed', 'oauth_grant (created_at, id)'],
  ['ix_oauth_grant_listed_user', 'oauth_grant (user_id, created_at, id)'],
  ['ix_oauth_grant_listed_client', 'oauth_grant (client_id, created_at, id)'],
  ['ix_event_grant', 'event (grant_id, id)'],
  ['ix_event_actor', 'event (actor, id)'],
  ['ix_event_reference', 'event (reference, id)'],
  ['ix_event_counted', 'event (id, type, outcome)'],
] as const;
