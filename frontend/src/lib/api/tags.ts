import { ApiError, query, queryMany } from "./client";
import { graphql, type ResultOf } from "./graphql";
import { send } from "./settings";

const TagsQuery = graphql(`
  query Tags {
    tags {
      id
      type
      name
      scope
    }
  }
`);

const CreateMutation = graphql(`
  mutation CreateTag($type: String!, $name: String!, $scope: String!) {
    createTag(type: $type, name: $name, scope: $scope) {
      id
      type
      name
      scope
    }
  }
`);

const AddMutation = graphql(`
  mutation AddTags($job: ID!, $tagIds: [ID!]!) {
    addTagsToJob(job: $job, tagIds: $tagIds) {
      id
      type
      name
      scope
    }
  }
`);

const RemoveMutation = graphql(`
  mutation RemoveTags($job: ID!, $tagIds: [ID!]!) {
    removeTagsFromJob(job: $job, tagIds: $tagIds) {
      id
      type
      name
      scope
    }
  }
`);

const DeleteMutation = graphql(`
  mutation DeleteTags($tagIds: [ID!]!) {
    removeTagFromList(tagIds: $tagIds)
  }
`);

export type Tag = ResultOf<typeof TagsQuery>["tags"][number];

const FRESH = { fresh: true };

export const listTags = async (): Promise<Tag[]> => (await query(TagsQuery, {}, FRESH)).tags;

export const createTag = async (type: string, name: string, scope: string): Promise<Tag> =>
  (await query(CreateMutation, { type, name, scope }, FRESH)).createTag;

export const addTag = async (job: string, tag: string): Promise<Tag[]> =>
  (await query(AddMutation, { job, tagIds: [tag] }, FRESH)).addTagsToJob;

export const removeTag = async (job: string, tag: string): Promise<Tag[]> =>
  (await query(RemoveMutation, { job, tagIds: [tag] }, FRESH)).removeTagsFromJob;

const TOGETHER = 50; // jobs per request

/** Attaches a tag to many jobs or takes it off; all of them have to lack it, or have it. */
export async function tagJobs(jobs: string[], tag: string, attach: boolean, onprogress: (done: number) => void): Promise<void> {
  for (let from = 0; from < jobs.length; from += TOGETHER) {
    const field = attach ? "addTagsToJob" : "removeTagsFromJob";
    const parts = jobs.slice(from, from + TOGETHER).map((job, index) => ({ alias: `job${index}`, field, variables: { job: ["ID!", job], tagIds: ["[ID!]!", [tag]] } as const }));
    const refused = (await queryMany<Tag[]>(parts, attach ? AddMutation : RemoveMutation)).find((answer) => answer.error);
    if (refused) throw new ApiError("server", refused.error ?? "");
    onprogress(Math.min(from + TOGETHER, jobs.length));
  }
}

/** Another type and name for a tag; jobs keep it. */
export async function renameTag(id: string, type: string, name: string): Promise<void> {
  await send("POST", `/frontend/tags/${id}`, { type, name });
}

export const deleteTag = async (tag: string): Promise<number[]> =>
  (await query(DeleteMutation, { tagIds: [tag] }, FRESH)).removeTagFromList;
