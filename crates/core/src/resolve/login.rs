//! Who people are inside: our user, or the one that the image was made for.

use devserver_api::{DevServerFlavorSpec, DevServerSpec, group, names};

use crate::{Invalid, environment::Login};

/// What the flavor says is about its own image. Nothing is guessed: an image does not tell before it runs.
pub(super) fn resolve(spec: &DevServerSpec, offer: &DevServerFlavorSpec) -> Result<Login, Invalid> {
    let own = offer.default_image.as_ref();
    let is_of_flavor = own.is_some() && (spec.image.is_none() || spec.image.as_ref() == own);
    let offered = offer.login_user.as_ref().filter(|_| is_of_flavor);
    let (field, name) = match (&spec.login_user, offered) {
        (Some(name), _) => ("spec.loginUser", name.as_str()),
        (None, Some(name)) => ("spec.flavor: its loginUser", name.as_str()),
        (None, None) => ("spec.loginUser", group::LOGIN_USER),
    };
    if !names::is_login_user(name) {
        let name = name.to_owned();
        return Err(Invalid::LoginUser { field, name });
    }
    Ok(Login {
        user: name.to_owned(),
    })
}
