import { Column, Entity, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** When the allow rules were last checked for a person at one provider since their sign-in. */
@Entity('admission')
export class AdmissionRow {
  @PrimaryColumn('text', { name: 'user_id' }) userId!: string;
  /** Provider instance id. */
  @PrimaryColumn('text') provider!: string;
  /** The latest try, whether or not the provider answered. */
  @Column({ name: 'tried_at', ...seconds }) triedAt!: number;
  /** When the provider last gave an answer that admits the person; null: only their sign-in did. */
  @Column({ name: 'admitted_at', nullable: true, ...seconds }) admittedAt!: number | null;
  /** When the provider last gave an answer that no rule admits; only a sign-in after it counts. null: never. */
  @Column({ name: 'refused_at', nullable: true, ...seconds }) refusedAt!: number | null;
}
