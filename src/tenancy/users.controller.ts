import { Body, Controller, Get, Param, Post, Put, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from './access.decorators.js';
import { CreateUserDto, ListUsersQuery, UpdateUserDto } from './users.dto.js';
import { UsersService, type UserView } from './users.service.js';

@Controller('api/users')
@Requires('user.manage')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Post()
  async create(@Caller() ctx: Ctx, @Body() body: CreateUserDto): Promise<UserView> {
    return await this.users.createUser(ctx, body);
  }

  @Get()
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListUsersQuery,
  ): Promise<{ users: UserView[]; next_cursor: string | null }> {
    const page = await this.users.listUsers(ctx, query);
    return { users: page.items, next_cursor: page.nextCursor };
  }

  @Get(':id')
  async get(@Caller() ctx: Ctx, @Param('id') id: string): Promise<UserView> {
    return await this.users.getUser(ctx, id);
  }

  @Put(':id')
  async update(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() body: UpdateUserDto,
  ): Promise<UserView> {
    return await this.users.updateUser(ctx, id, body);
  }
}
