"""What a person reads when their account page cannot do what was asked. Words only."""

from oauthgw.views.pages import Problem

NOT_YOURS_TO_CHANGE = Problem(
    403,
    "This is not yours to change",
    "Nothing was changed.",
    "You are signed in on behalf of somebody else. Their apps and their sessions are theirs to end.",
    ("Ask them to do it on this page.", "An operator can revoke connections under Administration."),
    link_url="/account/",
    link_label="Your account",
)
UNREADABLE = Problem(
    400,
    "This form could not be understood",
    "Nothing was changed.",
    "The page may have been open for long, or was changed on its way.",
    ("Open your account again and use its buttons.",),
    link_url="/account/",
    link_label="Your account",
)
NO_SUCH_APP = Problem(
    404,
    "There is no such app among yours",
    "Nothing was changed.",
    "Only an app that you have connected yourself can be revoked here.",
    ("Open your account again and look at the list.",),
    link_url="/account/",
    link_label="Your account",
)
NO_SUCH_SESSION = Problem(
    404,
    "There is no such session among yours",
    "Nothing was changed.",
    "It may have ended in the meantime.",
    ("Open your account again and look at the list.",),
    link_url="/account/",
    link_label="Your account",
)
