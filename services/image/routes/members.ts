/** Members of shared images. */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { ImageDesk } from '../index.ts';
import type { Member, MemberStatus } from '../model.ts';
import { exactly } from './exactly.ts';
import { text } from './fields.ts';
import { seconds } from './view.ts';

type ById = { Params: { id: string } };
type ByMember = { Params: { id: string; member: string } };

const statuses: readonly unknown[] = ['pending', 'accepted', 'rejected'];

export function memberRoutes(api: Api, desk: ImageDesk): void {
  const { members } = desk.images;
  api.get<ById>('/images/:id/members', async (request) => ({
    members: (await members.list(request.context, (await exactly(desk, request)).id)).map(memberView),
    schema: '/v2/schemas/members',
  }));
  api.post<ById & { Body: { member?: unknown } }>('/images/:id/members', async (request) => {
    const { member } = request.body ?? {};
    if (!text(member, 255) || member === '')
      throw fault('image-invalid', { reason: 'a member is the id of a project: {"member": "PROJECT"}.' });
    return memberView(await members.add(request.context, (await exactly(desk, request)).id, member));
  });
  api.get<ByMember>('/images/:id/members/:member', async (request) =>
    memberView(await members.find(request.context, (await exactly(desk, request)).id, request.params.member)),
  );
  api.put<ByMember & { Body: { status?: unknown } }>('/images/:id/members/:member', async (request) => {
    const { status } = request.body ?? {};
    if (!statuses.includes(status))
      throw fault('image-invalid', {
        reason: `a member's status is ${statuses.join(', ')}, not ${JSON.stringify(status)}.`,
      });
    const { id } = await exactly(desk, request);
    return memberView(await members.answer(request.context, id, request.params.member, status as MemberStatus));
  });
  api.delete<ByMember>('/images/:id/members/:member', async (request, reply) => {
    await members.remove(request.context, (await exactly(desk, request)).id, request.params.member);
    return reply.status(204).send();
  });
}

const memberView = (member: Member) => ({
  member_id: member.member,
  image_id: member.image_id,
  status: member.status,
  created_at: seconds(member.created_at),
  updated_at: seconds(member.updated_at),
  schema: '/v2/schemas/member',
});
