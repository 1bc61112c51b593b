import { type DynamicModule, Module } from '@nestjs/common';
import type { Settings } from './config/settings.js';
import { FrontModule } from './front/front.module.js';
import { GatehouseModule } from './gatehouse.module.js';

/** What `npm start` serves: the house, the shipped tools and a page at `/`. */
@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return { module: AppModule, imports: [GatehouseModule.with(settings), FrontModule] };
  }
}
