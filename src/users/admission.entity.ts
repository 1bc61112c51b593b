import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** When the allow rules were last checked for one account of a person since its sign-in. */
@Entity('admission')
@Index('ix_admission_user', ['userId'])
export class AdmissionRow {
  /** Provider instance id. */
  @PrimaryColumn('text') provider!: string;
  /** The account at that provider. */
  @PrimaryColumn('text') subject!: string;
  @Column('text', { name: 'user_id' }) userId!: string;
  /** The latest try, whether or not the provider answered. */
  @Column({ name: 'tried_at', ...seconds }) triedAt!: number;
  /** When the provider last gave an answer that admits the person; null: only their sign-in did. */
  @Column({ name: 'admitted_at', nullable: true, ...seconds }) admittedAt!: number | null;
  /** When the provider last gave an answer that no rule admits; only a sign-in after it counts. null: never. */
  @Column({ name: 'refused_at', nullable: true, ...seconds }) refusedAt!: number | null;
}
